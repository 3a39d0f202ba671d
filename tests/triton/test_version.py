import pytest

from appliance.errors import MissingProgramError
from appliance.triton.version import TritonVersion, check_production, missing_fixes, warning
from tests.refusals import refused


@pytest.mark.parametrize(
    ("version", "release"),
    [
        ("2.51.0", "24.10"),
        ("2.54.0", "25.01"),
        ("2.59.0", "25.06"),
        ("2.59.1", "25.07"),
        ("2.60.0", "25.08"),
        ("2.69.0", "26.05"),
        ("2.71.0", "26.07"),
        ("2.50.0", ""),
        ("3.1.0", ""),
    ],
)
def test_a_version_belongs_to_a_container_release(version: str, release: str):
    assert TritonVersion.from_text(version).release == release


def test_the_wheels_server_is_unfit_for_production_and_says_what_it_lacks():
    old = TritonVersion.from_text("2.51.0")
    assert "24.10" in warning(old)
    assert any("CVE-2026-24207" in line for line in missing_fixes(old))
    with refused(MissingProgramError, "CVE-2026-47627", "--allow-old-triton"):
        check_production(old)


@pytest.mark.parametrize("version", ["2.71.0", "2.71.0dev", "2.80.1", "3.0.0"])
def test_a_patched_version_is_fit_for_production(version: str):
    fit = TritonVersion.from_text(version)
    check_production(fit)
    assert warning(fit) == ""
    assert missing_fixes(fit) == ()


def test_the_version_before_the_minimum_is_refused():
    with pytest.raises(MissingProgramError, match="CVE-2026-16497"):
        check_production(TritonVersion.from_text("2.70.9"))


def test_text_without_a_version_is_refused():
    with refused(MissingProgramError, "version"):
        TritonVersion.from_text("latest")
