"""A state of a running box, for tests to vary."""

from appliance.running_process import RunningProcess
from appliance.supervisor.state import ModelState, Phase, UpState

MODEL = ModelState("tiny", "cpu", "balanced", "/exports/tiny/cpu-balanced", "ab" * 32)
OTHER_MODEL = ModelState("small", "cpu", "precise", "/exports/small/cpu-precise", "cd" * 32)
STATE = UpState(
    phase=Phase.SERVING,
    supervisor=RunningProcess.own(),
    models=(MODEL,),
    http="127.0.0.1:1",
    grpc="127.0.0.1:1",
    metrics="127.0.0.1:1",
)
