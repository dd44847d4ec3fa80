import click
from ending import train


@click.group()
@click.option("--debug/--no-debug", default=False)
def cli(debug):
    pass


@cli.command(name="fit")
@click.option("--learning-rate", default=0.01)
@click.option("--workdir", required=True)
def fit(learning_rate, workdir):
    train({"learning_rate": learning_rate}, workdir)


@cli.command()
def test():
    raise SystemExit(3)


if __name__ == "__main__":
    cli()
