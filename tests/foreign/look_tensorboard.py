"""What TensorBoard itself makes of a folder: its runs and series, and the table of HParams."""

import json
import sys

from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

folder = sys.argv[1]
multiplexer = plugin_event_multiplexer.EventMultiplexer(
    size_guidance={"scalars": 0, "tensors": 0}, tensor_size_guidance={"scalars": 0, "hparams": 0}
)
multiplexer.AddRunsFromDirectory(folder)
multiplexer.Reload()
provider = data_provider.MultiplexerDataProvider(multiplexer, folder)

series = {}
for run in multiplexer.Runs():
    for tag in multiplexer.PluginRunToTagToContent("scalars").get(run, {}):
        events = multiplexer.Tensors(run, tag)
        values = [float(e.tensor_proto.float_val[0]) for e in events]
        series.setdefault(run, {})[tag] = [[e.step for e in events], values]

request = RequestContext()
context = backend_context.Context(base_plugin.TBContext(data_provider=provider, logdir=folder))
experiment = context.experiment_from_metadata(
    request, "", True, context.hparams_metadata(request, ""), []
)
wanted = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=1000)
wanted.allowed_statuses.extend([0, 1, 2, 3])
wanted.aggregation_type = api_pb2.AGGREGATION_AVG
for metric in experiment.metric_infos:
    wanted.col_params.add(metric=metric.name)
handler = list_session_groups.Handler(
    request_context=request, backend_context=context, experiment_id="", request=wanted
)
groups = []
for group in handler.run().session_groups:
    groups.append({
        "name": group.name,
        "sessions": sorted(s.name for s in group.sessions),
        "status": [api_pb2.Status.Name(s.status) for s in group.sessions],
        "hparams": {
            name: getattr(value, value.WhichOneof("kind")) for name, value in group.hparams.items()
        },
        "metrics": {m.name.tag: m.value for m in group.metric_values},
    })
columns = {h.name: api_pb2.DataType.Name(h.type) for h in experiment.hparam_infos}
print(json.dumps({
    "series": series,
    "columns": columns,
    "metrics": [m.name.tag for m in experiment.metric_infos],
    "groups": sorted(groups, key=lambda group: group["name"]),
}))
