from __future__ import annotations

import json
import re
import signal
import subprocess
from pathlib import Path

import pytest

from outbox.testing import fake_server, read_record
from support.raw_http import OUTBOX, command, post
from support.servers.ports import free_port
from support.waiting import eventually

KEY = "01970c3a-0000-7000-8000-1f2e3d4c5b6a"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [OUTBOX, "fake-server", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )


def _stop(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[list[str], str]:
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    return out.splitlines(), err


def test_it_prints_the_endpoint_what_arrives_and_the_count() -> None:
    """The first line can be given to the worker; then one line an event, with its whole id; the last one counts."""
    with command("--script", "per-key: 503 x1, ok") as (process, url):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/api/v1/event", url)
        for _ in range(3):
            post(url, key=KEY)
        post(url, b"{}", key="other")
        post(url, b"{}")
        lines, err = _stop(process)
    assert (process.returncode, err) == (0, "")
    shown = [re.sub(r"^\d\d:\d\d:\d\d\.\d\d\d  ", "", line) for line in lines]
    name = "invoice_email_sent".ljust(28)
    assert shown == [
        f"{name} {KEY}  503",
        f"{name} {KEY}  200",
        f"{name} {KEY}  200",
        f"{'-':<28} {'other':<36}  503  event is required",
        f"{'-':<28} {'-':<36}  503  event is required",
        "received 5, distinct keys 2, accepted 1, duplicates 1, without key 1, answers 200=2 503=3",
    ]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_cleanly(number: signal.Signals) -> None:
    """Either signal ends it with the counts and exit code 0, also while a client hangs."""
    with command("--quiet", "--script", "hang") as (process, url):
        with pytest.raises(TimeoutError):
            _post_briefly(url)
        lines, err = _stop(process, number)
    assert (process.returncode, err) == (0, "")
    assert lines == ["received 1, distinct keys 0, accepted 0, duplicates 0, without key 1, answers hang=1"]


def _post_briefly(url: str) -> None:
    from support.raw_http import client, send

    with client(url, timeout=0.2) as connection:
        send(connection, url)


def test_lines_appear_while_it_runs() -> None:
    """A line is not held back until the end."""
    with command() as (process, url):
        post(url, key=KEY)
        assert process.stdout is not None
        assert f"{KEY}  200" in process.stdout.readline()


def test_hostile_names_cannot_steer_the_terminal() -> None:
    """Escapes, newlines, bidirectional overrides and lone surrogates are shown as text, and long names are cut."""
    names = ["\x1b[31mred\x07", "two\nlines", "\u202egnp.exe", "\ud800", "x" * 5000, "\x9b2J"]
    with command() as (process, url):
        for name in names:
            post(url, json.dumps({"event": {"name": name, "\x1b]0;t\x07": 1}}).encode(), key="\x9b2J" + "k" * 2000)
        lines, _ = _stop(process)
    assert len(lines) == len(names) + 1
    assert all(line.isprintable() for line in lines)
    assert "\\x1b[31mred\\x07" in lines[0]
    assert "two\\nlines" in lines[1]
    assert max(map(len, lines)) < 1000


def test_a_quiet_one_is_quiet() -> None:
    """`--quiet` leaves the first line and the last."""
    with command("--quiet") as (process, url):
        post(url)
        lines, _ = _stop(process)
    assert len(lines) == 1
    assert lines[0].startswith("received 1,")


def test_a_reader_that_goes_away_does_not_end_the_service() -> None:
    """`outbox fake-server | head -1` goes on serving, without a word on stderr."""
    with command() as (process, url):
        assert process.stdout is not None
        process.stdout.close()
        process.stdout = None
        for _ in range(3):
            assert post(url).status == 200
            eventually(lambda: post(url).status == 200)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")


def test_a_full_disk_behind_its_output_does_not_end_the_service() -> None:
    """What can be written no more is said once, in one line; the server goes on answering."""
    port = free_port()
    arguments = [str(OUTBOX), "fake-server", "--port", str(port)]
    with (
        Path("/dev/full").open("wb") as full,
        subprocess.Popen(arguments, stdout=full, stderr=subprocess.PIPE, text=True) as process,
    ):
        eventually(lambda: _answers(port))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=10)
    assert process.returncode == 0
    assert err == "outbox: standard output cannot be written: No space left on device; serving goes on\n"


def _answers(port: int) -> bool:
    try:
        return post(f"http://127.0.0.1:{port}/api/v1/event").status == 200
    except ConnectionRefusedError:
        return False


def test_everything_is_recorded(tmp_path: Path) -> None:
    """`--record` appends what the Python class would; `--any-path` widens what is taken."""
    path = tmp_path / "record.jsonl"
    with command("--record", str(path), "--any-path") as (_, url):
        assert post(url.replace("/api/v1/event", "/elsewhere"), key=KEY).status == 200
        [received] = read_record(path)
    assert (received.key, received.path, received.answer) == (KEY, "/elsewhere", "200")


def test_a_seed_repeats_the_chances() -> None:
    """Two runs with one seed answer alike."""
    runs = []
    for _ in range(2):
        with command("--seed", "7", "--script", "50%: 500, 200", "--quiet") as (_, url):
            runs.append([post(url).status for _ in range(30)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {200, 500}


def test_several_scripts_are_rules_in_their_order() -> None:
    """`--script` may be repeated."""
    with command("--script", "name=invoice_*: 402 x1", "--script", "418") as (_, url):
        assert [post(url).status for _ in range(2)] == [402, 418]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--script", "503 x2, teapot"], "script '503 x2, teapot', character 9: 'teapot' is no action"),
        (["--script", "500", "--script", "name=a: 400"], "rule 1 of the script answers every request"),
        (["--host", "0.0.0.0"], "0.0.0.0 can be reached from other machines. Give --allow-remote"),  # noqa: S104 - refused
        (["--host", "example.com"], "example.com can be reached from other machines. Give --allow-remote"),
        (["--port", "70000"], "70000 is not in the range"),
    ],
)
def test_wrong_usage_is_exit_2(arguments: list[str], message: str) -> None:
    """What is wrong is named, and nothing is started."""
    done = _run(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_port_in_use_is_one_line_and_exit_1() -> None:
    """No traceback."""
    with fake_server() as other:
        done = _run("--port", str(other.port))
    assert done.returncode == 1
    assert done.stderr == (
        f"outbox: cannot listen on 127.0.0.1:{other.port}: address already in use. "
        "Choose another port, or 0 for any that is free.\n"
    )


def test_a_record_that_cannot_be_written_is_one_line_and_exit_1(tmp_path: Path) -> None:
    """At the start, and when the disk is full in mid-run."""
    done = _run("--port", "0", "--record", str(tmp_path / "none" / "record.jsonl"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "cannot be written: No such file or directory" in done.stderr
    with command("--record", "/dev/full") as (process, url):
        with pytest.raises(ConnectionError):
            post(url)
        out, err = process.communicate(timeout=10)
    assert process.returncode == 1
    assert out.startswith("received 0,")
    assert err.startswith("outbox: the record /dev/full cannot be written: No space left on device")
    assert len(err.splitlines()) == 1
