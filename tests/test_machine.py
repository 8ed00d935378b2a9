"""What the machine is: answers that must hold on any machine."""

import os

from tenfold import machine


def test_there_is_at_least_one_core_and_no_more_than_the_system_has():
    assert 1 <= machine.cores() <= os.cpu_count()


def test_versions_name_what_a_result_depends_on():
    found = machine.versions()
    assert {"python", "tenfold", "keras", "torch", "numpy", "processor", "cores", "platform"} <= set(found)
    assert found["processor"]


def test_peak_memory_grows_with_what_is_held():
    before = machine.peak_memory()
    block = bytearray(os.urandom(1) * 300_000_000)
    after = machine.peak_memory()
    assert after == 0 or after - before > 50_000_000 or before > len(block)


def test_keeping_memory_changes_no_result():
    import torch

    machine.keep_memory()
    assert float(torch.ones(3_000_000).sum()) == 3_000_000


def test_bfloat16_gain_is_a_ratio_measured_once():
    gain = machine.bfloat16_gain()
    assert 0.01 < gain < 100
    assert machine.bfloat16_gain() is gain
