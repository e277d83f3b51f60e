"""`outbox demo` as a person runs it: the promise holds, a broken one is seen, and nothing is left behind."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from outbox.testing import read_record
from support.raw_http import post
from support.waiting import eventually

OUTBOX = [sys.executable, "-m", "outbox"]
FEW = ("--events", "60")

HELD = {"sent_after_rollback": 0, "lost": 0, "failed": 0, "altered": 0, "troubles": [], "held": True}


@dataclass
class Demo:
    """A running demo; its story is read line by line, so that a test can act in the middle of it."""

    process: subprocess.Popen[str]
    temporary: Path
    story: list[str] = field(default_factory=list)

    def until(self, words: str) -> str:
        """Read on until a line has these words, and give that line."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.story.append(line)
            if words in line:
                return line
        pytest.fail(f"the story ended without {words!r}:\n{''.join(self.story)}")

    def end(self) -> tuple[int, dict[str, Any]]:
        """Wait for its end and give the exit code and the verdict."""
        out, err = self.process.communicate(timeout=100)
        self.story += err.splitlines(keepends=True)
        return self.process.returncode, json.loads(out) if out else {}

    @property
    def database(self) -> Path:
        """The file that the first line names."""
        return Path(self.story[0].split("s  ", 1)[1].split(": ", 1)[0])

    @property
    def endpoint(self) -> str:
        """The URL that the second line names."""
        return self.story[1].split()[1]

    @property
    def workers(self) -> list[int]:
        """The processes that the story names."""
        return [int(found[1]) for line in self.story if (found := re.search(r", process (\d+)", line))]


@contextmanager
def demo(temporary: Path, *arguments: str, command: list[str] = OUTBOX, **environment: str) -> Iterator[Demo]:
    """Run `outbox demo --json` in a session of its own, with a temporary folder of its own."""
    temporary.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [*command, "demo", "--json", *arguments],
        cwd=temporary.parent,
        env=os.environ | {"TMPDIR": str(temporary)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield Demo(process, temporary)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that only waits to be noticed by its parent has."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return True


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def test_the_promise_holds_and_the_numbers_agree_with_the_files(tmp_path: Path) -> None:
    """Killed, cut off, refused: all that was committed arrived; the files that --keep keeps say the same."""
    with demo(tmp_path / "tmp", *FEW, "--keep", "--seed", "1") as running:
        code, verdict = running.end()
    assert code == 0, running.story
    assert verdict.items() >= HELD.items()
    assert (verdict["committed"], verdict["delivered"], verdict["rolled_back"]) == (53, 53, 7)
    with contextlib.closing(sqlite3.connect(running.database)) as connection:
        events = connection.execute("SELECT event_id FROM orders UNION SELECT event_id FROM payments").fetchall()
        states = connection.execute("SELECT state, count(*) FROM outbox_message GROUP BY 1").fetchall()
    received = list(read_record(running.database.parent / "received.jsonl"))
    assert states == [("delivered", 53)]
    assert {each.key for each in received} == {row[0] for row in events}
    assert {each.answer for each in received} > {"200"}
    assert verdict["duplicates"] <= len(received) - 53


def test_what_is_kept_can_be_looked_at(tmp_path: Path) -> None:
    """The last lines of --keep are commands; they work as they stand."""
    with demo(tmp_path / "tmp", *FEW, "--keep") as running:
        code, _ = running.end()
    assert code == 0, running.story
    kept = next(number for number, line in enumerate(running.story) if line.startswith("Kept in"))
    steps = "".join(running.story[kept + 1 :])
    assert steps.count("\n") >= 3
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-e"], input=steps, capture_output=True, text=True, check=False, env=os.environ | {"PATH": path}
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert "delivered" in done.stdout


def test_a_person_reads_a_short_story_and_the_count(tmp_path: Path) -> None:
    """Plain lines that fit a terminal, the count last; the temporary folder is gone."""
    done = subprocess.run(
        [*OUTBOX, "demo", *FEW],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) <= 26
    assert max(map(len, lines)) <= 120 + len(str(tmp_path))
    assert all(line.isprintable() for line in lines)
    count = dict(re.findall(r"^([a-z ]+?)  +(\d+)", "\n".join(lines[-8:-2]), re.MULTILINE))
    assert count.pop("duplicates").isdecimal()
    assert count == {
        "committed": "53",
        "delivered": "53",
        "rolled back": "7",
        "sent after rollback": "0",
        "lost": "0",
    }
    assert lines[-1] == "The promise held."
    assert list(tmp_path.iterdir()) == []


def test_a_row_removed_behind_its_back_is_a_lost_event(tmp_path: Path) -> None:
    """Somebody deletes a committed event that was not sent yet: the demo sees it and exits with 1."""
    with demo(tmp_path / "tmp", *FEW) as running:
        running.until("The shop opens")
        eventually(lambda: remove_one(running.database), timeout=30)
        code, verdict = running.end()
    assert code == 1
    assert (verdict["lost"], verdict["delivered"], verdict["held"]) == (1, 52, False)
    assert "1 committed, but never accepted by the destination: " in verdict["troubles"][0]


def remove_one(database: Path) -> bool:
    """Delete a message that no worker has claimed yet."""
    query = "SELECT id FROM outbox_message WHERE claim_token IS NULL LIMIT 1"
    with contextlib.closing(sqlite3.connect(database, timeout=10)) as connection, connection:
        return connection.execute(f"DELETE FROM outbox_message WHERE id = ({query})").rowcount == 1


def test_other_bytes_under_a_known_key_are_seen(tmp_path: Path) -> None:
    """Somebody else posts with the key of an event: the demo names it and exits with 1."""
    with demo(tmp_path / "tmp", *FEW) as running:
        running.until("kill -9")
        key = next(each.key for each in read_record(running.database.parent / "received.jsonl"))
        with contextlib.suppress(ConnectionError):  # the destination may cut this one off; it is recorded all the same
            post(running.endpoint, b"{}", key=key)
        code, verdict = running.end()
    assert code == 1
    assert (verdict["lost"], verdict["altered"]) == (0, 1)
    assert verdict["troubles"] == [f"1 arrived under one key with different bytes: {key}"]


_UNROLLED = """
import sys
from outbox.cli import main
from outbox.demo import shop

def declined(self, number):
    with self._transaction() as session:
        self.rolled_back.append(shop._place(session, number))

shop.Shop._declined = declined
main()
"""


def test_an_event_that_outlives_its_rollback_is_seen(tmp_path: Path) -> None:
    """A shop whose rollbacks commit, as those of an autocommitting connection do: exit 1, and how many."""
    with demo(tmp_path / "tmp", *FEW, command=[sys.executable, "-c", _UNROLLED]) as running:
        code, verdict = running.end()
    assert code == 1, running.story
    assert (verdict["lost"], verdict["sent_after_rollback"]) == (0, 5)
    assert "5 arrived although rolled back: " in verdict["troubles"][0]


def test_the_terminals_settings_and_folder_do_not_matter(tmp_path: Path) -> None:
    """An endpoint, a switched off delivery, a module named outbox, where the demo is run: it keeps to its own."""
    (tmp_path / "outbox.py").write_text("raise SystemExit('the wrong outbox')")
    wrong = {
        "OUTBOX_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "OUTBOX_ENDPOINT": "http://127.0.0.1:1/",
        "OUTBOX_DELIVERY": "off",
        "OUTBOX_PROJECT_ID": "another",
        "OUTBOX_LEASE": "1h",
    }
    with demo(tmp_path / "tmp", *FEW, command=[str(Path(sys.executable).with_name("outbox"))], **wrong) as running:
        code, verdict = running.end()
    assert code == 0, running.story
    assert verdict["delivered"] == 53


@on_linux
@pytest.mark.parametrize("words", ["The shop opens", ", process", "kill -9", "The destination goes down"])
def test_ctrl_c_ends_all_that_it_started(tmp_path: Path, words: str) -> None:
    """Whenever it comes: one line, exit 130, no worker, no folder."""
    with demo(tmp_path / "tmp", *FEW) as running:
        running.until(words)
        os.killpg(running.process.pid, signal.SIGINT)
        code, verdict = running.end()
    assert (code, verdict) == (130, {})
    assert running.story[-1] == "outbox: interrupted\n"
    assert "Traceback" not in "".join(running.story)
    assert all(is_gone(pid) for pid in running.workers)
    assert list(running.temporary.iterdir()) == []


@on_linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_that_it_started(tmp_path: Path, number: signal.Signals) -> None:
    """A closed terminal or a supervisor: exit 128 + n, no worker, no folder."""
    with demo(tmp_path / "tmp", *FEW) as running:
        running.until(", process")
        running.process.send_signal(number)
        code, _ = running.end()
    assert code == 128 + number
    assert "Traceback" not in "".join(running.story)
    assert all(is_gone(pid) for pid in running.workers)
    assert list(running.temporary.iterdir()) == []


@on_linux
def test_a_killed_demo_leaves_no_worker(tmp_path: Path) -> None:
    """SIGKILL leaves it no last word; its workers end all the same."""
    with demo(tmp_path / "tmp", *FEW) as running:
        running.until("The destination goes down")  # the second worker is at work by then
        assert not is_gone(running.workers[-1])
        running.process.kill()
        eventually(lambda: all(is_gone(pid) for pid in running.workers))


@on_linux
def test_a_worker_that_dies_unexpectedly_ends_the_demo(tmp_path: Path) -> None:
    """Its last words are told in one line, and the exit code is 1."""
    with demo(tmp_path / "tmp", *FEW) as running:
        running.until("kill -9")
        running.until(", process")
        os.kill(running.workers[-1], signal.SIGKILL)
        code, verdict = running.end()
    assert (code, verdict) == (1, {})
    assert running.story[-1].startswith(f"outbox: the worker {running.workers[-1]} ended with exit code -9; its last")
    assert list(running.temporary.iterdir()) == []


def test_too_few_events_are_wrong_usage(tmp_path: Path) -> None:
    """The range is named."""
    with demo(tmp_path / "tmp", "--events", "3") as running:
        code, _ = running.end()
    assert code == 2
    assert "3 is not in the range 50<=x<=5000" in "".join(running.story)
