"""What is read out of the measurements."""

import pytest

from benchmarks import figures


def test_the_exponent_is_the_power_of_the_pixels():
    seconds = {side: 0.3 * (side**2) ** 1.25 for side in (16, 32, 64)}
    assert figures.exponent(seconds) == pytest.approx(1.25, abs=1e-12)


def test_goals_say_what_is_met_and_what_is_not(measured):
    lines = figures.goals(measured)
    assert "3.00 (asked: 2): met" in lines[0]  # 0.6 / 0.2
    assert "1.25 (asked: 1.2): met" in lines[1]  # 0.25 / 0.2
    assert "2.50 (asked: 2): met" in lines[2] and "1.50 (asked: 1.2): met" in lines[3]
    assert "forwards alone, with its noise: 1.20 (-1.00…1.20)): 1.00 (asked: 2): met" in lines[4]
    assert lines[5].endswith(
        "after 5 min 6.00 (5.60 … 6.40) against other after 10 min 5.00 (4.60 … 5.40): not met"
    )
    assert lines[6].endswith("4.00 (3.60 … 4.40): met")
    assert "not folded in its best setting over best peer's default: 1.50 (asked: 2): not met" in lines[7]
    assert "0.62 (asked: 1.2): not met" in lines[8] and lines[13].endswith("4.00 (3.60 … 4.40): met")
