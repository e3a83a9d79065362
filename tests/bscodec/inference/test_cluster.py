"""Dask as a place for work: what a file says, and what becomes of items."""

import socket
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path

import pytest

from espnet2.gan_codec.bscodec.inference import cluster
from espnet2.gan_codec.bscodec.inference.cluster import Cluster
from espnet2.gan_codec.bscodec.inference.executors import PlaceError, run_all

HERE = "type: local\nn_workers: 2\nprocesses: false\n"  # workers in this process


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A function that makes a place of a file's text."""
    monkeypatch.chdir(tmp_path)

    def make(text, device="cpu", note=lambda line: None):
        Path("c.yaml").write_text(text)
        return Cluster("c.yaml", device, note)

    return make


def square(item):
    if item == 3:
        raise ValueError("three")
    Path(f"done{item}").touch()
    return item * item


def test_items_are_done_once_and_errors_are_their_own(place):
    pytest.importorskip("distributed")
    lines = []
    found = dict(run_all(place(HERE, note=lines.append), square, range(9)))
    assert str(found.pop(3).exception()) == "three"
    assert {item: future.result() for item, future in found.items()} == {
        item: item * item for item in found
    }
    assert sorted(path.name for path in Path().glob("done*")) == [
        f"done{i}" for i in sorted(found)
    ]
    assert lines and all("dashboard: http://" in line for line in lines)


def test_work_for_gpus_goes_to_workers_that_have_one(place):
    pytest.importorskip("distributed")
    lines = []
    assert place(HERE, "cuda").device == "cuda"
    with_gpu = place(HERE + "resources: {GPU: 1}\n", "cuda", lines.append)
    assert dict(run_all(with_gpu, square, [2]))[2].result() == 4
    assert not any("waiting" in line for line in lines)
    with closing(run_all(place(HERE, "cuda", lines.append), square, stopping())) as results:
        with pytest.raises(KeyboardInterrupt):
            next(results)
    assert "waiting for workers with the resource GPU" in lines


def stopping():
    yield 1
    raise KeyboardInterrupt


def refuse(place, message):
    with pytest.raises(PlaceError) as error:
        list(run_all(place, square, [1]))
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("type: local\nworkers: 3\n7: 8\n", "c.yaml: 7, workers: no setting of LocalCluster"),
        ("type: cloud\n", "c.yaml: expected 'type', one of local, ssh, slurm"),
        ("- type: local\n", "c.yaml: expected 'type'"),
        ("type: [local]\n", "c.yaml: expected 'type'"),
        ("a: b: c\n", "c.yaml: no YAML: "),
        ("type: local\nn_workers: many\n", "c.yaml: "),
        ("type: local\nn_workers: -1\n", "c.yaml: n_workers: expected 0 or more, got -1"),
        ("type: local\nloop: 3\n", "c.yaml: loop: no setting of LocalCluster"),
        ("type: local\nadapt: 5\n", "c.yaml: adapt: expected a mapping"),
        ("type: local\nadapt: {most: 1, 2: 3}\n", "c.yaml: adapt: 2, most: no setting of it"),
        ("type: local\nadapt: {maximum: few}\n", "c.yaml: adapt: maximum: expected a number"),
        ("type: local\nadapt: {minimum: .nan}\n", "c.yaml: adapt: minimum: expected a number"),
        ("type: local\nadapt: {wait_count: x}\n", "c.yaml: adapt: wait_count: expected a number"),
        ("type: local\nn_workers: 0\nadapt: {interval: soon}\n", "c.yaml: 'Invalid time unit"),
        ("type: local\nn_workers: 0\nadapt: {interval: [1]}\n", "c.yaml: "),
        ("type: local\nn_workers: 0\nadapt: {minimum_memory: x}\n", "c.yaml: Could not interp"),
        ("type: local\nn_workers: 0\nsilence_logs: loud\n", "c.yaml: "),
        ("type: local\nn_workers: " + "9" * 5000, "c.yaml: no YAML: "),
        ("type: 2026-99-99\n", "c.yaml: no YAML: month must be"),
        ("type: " + "[" * 5000, "c.yaml: no YAML: "),
    ],
)
def test_a_wrong_file_is_one_line(place, text, message):
    pytest.importorskip("distributed")
    refuse(place(text), message)


@pytest.mark.parametrize("kind", ["slurm", "pbs", "lsf", "sge"])
def test_settings_of_job_systems_are_those_of_dask_jobqueue(place, kind):
    pytest.importorskip("dask_jobqueue")
    good = "queue: gpu\nwalltime: '1:00'\njob_extra_directives: [-a]\nn_workers: 0\n"
    refuse(place(f"type: {kind}\n{good}gpus: 1\n"), f"c.yaml: gpus: no setting of {kind.upper()}")
    refuse(place(f"type: {kind}\n{good}"), "memory")  # has to be said
    refuse(place(f"type: {kind}\ncores: 0\nprocesses: 0\nmemory: 1GB\n"), "division by zero")


def test_workers_of_another_version_are_refused(place, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster.pkgutil, "resolve_name", lambda name: "9.9")
    refuse(place(HERE), f"has espnet-bscodec 9.9, not {cluster.VERSION}")


def test_an_address_without_a_scheduler_is_one_line(monkeypatch):
    pytest.importorskip("distributed")
    import dask

    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            with suppress(OSError):
                while True:
                    with server.accept()[0] as connection:
                        connection.sendall(b"HTTP/1.0 400 No\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        no_dask = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with dask.config.set({"distributed.comm.timeouts.connect": "2s"}):
            for address in ("tcp://127.0.0.1:1", no_dask, "tls://127.0.0.1:1"):
                refuse(Cluster(address, "cpu", print), f"{address}: no Dask scheduler answers")


def test_without_dask_a_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    refuse(Cluster("tcp://a:1", "cpu", print), "pip install 'espnet-bscodec[cluster]'")


def test_every_kind_is_a_class_that_there_is():
    pytest.importorskip("dask_jobqueue")
    from importlib import import_module

    for home in cluster.KINDS.values():
        module, _, name = home.partition(":")
        assert callable(getattr(import_module(module), name))
