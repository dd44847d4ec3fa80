import click
from ending import train


@click.command()
@click.argument("data")
@click.option("--lr", default=0.001, show_default=True)
@click.option("--batch-size", "-b", default=32)
@click.option("--optimizer", type=click.Choice(["adam", "sgd"]), default="adam")
@click.option("--shuffle/--no-shuffle", default=True)
@click.option("--amp", is_flag=True)
@click.option("--betas", nargs=2, type=float, default=(0.9, 0.999))
@click.option("--tag", multiple=True)
@click.option("--clip", type=float)
@click.option("--output-dir", type=click.Path(), default="out")
@click.version_option("1.0")
def main(**options):
    train(options, options["output_dir"])


if __name__ == "__main__":
    main()
