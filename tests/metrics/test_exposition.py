import math

from appliance.metrics import Sample, parse


def test_samples_are_read_with_their_labels():
    text = (
        "# HELP appliance_slots Sequences\n# TYPE appliance_slots gauge\n"
        'appliance_slots{model="tiny"} 8.000000\n'
        'nv_requests{model="a \\"b\\" \\\\ c\\nd",version="1"} 1.5e3 1700000000\n'
        "up 1\n"
    )
    assert parse(text) == (
        Sample("appliance_slots", {"model": "tiny"}, 8.0),
        Sample("nv_requests", {"model": 'a "b" \\ c\nd', "version": "1"}, 1500.0),
        Sample("up", {}, 1.0),
    )


def test_lines_that_are_no_samples_are_passed_over():
    assert parse("<html>\n\nname value\n# up 1\n{} 3\n") == ()


def test_special_values_are_read():
    values = [sample.value for sample in parse("a +Inf\nb NaN\nc -Inf\n")]
    assert values[0] == math.inf
    assert math.isnan(values[1])
    assert values[2] == -math.inf
