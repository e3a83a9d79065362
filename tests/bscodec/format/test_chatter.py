"""What libmpg123 prints is kept from standard error, and nothing else is."""

import os
import threading

import pytest

from espnet2.gan_codec.bscodec.format.chatter import quiet_libraries

from .sounds import make_noise, read, refusal, write

LINES = [
    b"Note: Illegal Audio-MPEG-Header 0x55555555 at offset 100209.\n",
    b"Warning: Xing stream size off by more than 1%, fuzzy seeking may be even more fuzzy!\n",
    b"[src/libmpg123/parse.c:wetwork():1349] error: Giving up resync after 1024 bytes\n",
]


def test_chatter_is_dropped_and_other_lines_are_passed_on(capfd):
    with quiet_libraries():
        for line in LINES:
            os.write(2, line)
        os.write(2, b"real news\n")
    os.write(2, b"and after\n")
    assert capfd.readouterr().err == "real news\nand after\n"


def test_blocks_that_are_not_needed_change_nothing(capfd):
    with quiet_libraries(False):
        os.write(2, LINES[0])
    assert capfd.readouterr().err == LINES[0].decode()


def test_threads_share_it_and_lose_nothing(capfd):
    def work(number):
        for count in range(50):
            with quiet_libraries():
                os.write(2, LINES[count % 3] + b"%d %d\n" % (number, count))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = capfd.readouterr().err.splitlines()
    assert sorted(said) == sorted(f"{n} {c}" for n in range(4) for c in range(50))
    assert os.write(2, b"") == 0  # it is turned back, and open


def test_errors_pass_through(capfd):
    with pytest.raises(KeyError):
        with quiet_libraries():
            raise KeyError
    os.write(2, b"here\n")
    assert capfd.readouterr().err == "here\n"


def test_a_damaged_sds_prints_nothing(tmp_path, capfd):
    path = write(tmp_path / "a.sds", make_noise(4000), format="SDS")
    data = bytearray(path.read_bytes())
    for place in range(21, len(data), 127):
        data[place : place + 2] = b"\1\1"
    path.write_bytes(data)
    print("before", flush=True)
    read(path)
    print("after", flush=True)
    assert tuple(capfd.readouterr()) == ("before\nafter\n", "")


def test_a_cut_mp3_prints_nothing(tmp_path, capfd):
    path = write(tmp_path / "a.mp3", make_noise(240000))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :][:3000] = b""
    path.write_bytes(data[: len(data) // 2] + b"\x55" * 2500 + data[len(data) * 3 // 4 :])
    refusal(path)
    read(path, salvage=True)
    assert capfd.readouterr().err == ""
