import threading

import numpy as np
import pytest

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image_writer import ImageWriter

IMAGE = np.zeros((2, 2, 3), np.uint8)


def test_leaving_the_block_waits_for_all_pictures(tmp_path):
    with ImageWriter(threads=2, backlog=3) as writer:
        for number in range(20):
            writer.save(IMAGE, tmp_path / f"{number}.png")
    assert len(list(tmp_path.glob("*.png"))) == 20


def test_saving_overlaps_but_waits_at_the_backlog():
    gate = threading.Event()
    with ImageWriter(threads=1, backlog=2) as writer:
        writer.submit(gate.wait)
        writer.submit(gate.wait)  # both returned while the first still runs
        third = threading.Thread(target=writer.submit, args=[lambda: None])
        third.start()
        third.join(0.1)
        assert third.is_alive(), "a third is taken though two are pending"
        gate.set()
        third.join(10)
        assert not third.is_alive()


def test_an_error_surfaces_at_the_end(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"), ImageWriter() as writer:
        writer.save(IMAGE, tmp_path / "file" / "a.png")


def test_an_error_surfaces_at_the_next_call_and_stops_the_rest(tmp_path):
    def fail():
        raise UserError("disk full")

    with pytest.raises(UserError, match="disk full"), ImageWriter(threads=1, backlog=1) as writer:
        writer.submit(fail)
        for number in range(3):  # the second call waits for the first task, so it knows
            writer.save(IMAGE, tmp_path / f"{number}.png")
        pytest.fail("went on after an error")
    assert not list(tmp_path.iterdir())


def test_pictures_made_before_a_users_mistake_are_saved(tmp_path):
    started = threading.Event()
    with pytest.raises(UserError, match="label 9"), ImageWriter(threads=1, backlog=9) as writer:
        writer.submit(started.wait)
        for number in range(3):
            writer.save(IMAGE, tmp_path / f"{number}.png")
        threading.Timer(0.05, started.set).start()
        raise UserError("label 9 found")
    assert len(list(tmp_path.iterdir())) == 3


def test_the_error_of_the_block_is_not_hidden_by_ours(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ZeroDivisionError), ImageWriter() as writer:
        writer.save(IMAGE, tmp_path / "file" / "a.png")
        raise ZeroDivisionError
