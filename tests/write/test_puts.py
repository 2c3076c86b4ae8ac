from __future__ import annotations

import functools
import threading
import time
from typing import Any

import pytest

from pipeline.errors import StoreError
from pipeline.write.puts import AT_ONCE, BYTES_AT_ONCE, Puts

LONG_S = 60


class Script:
    """Puts that wait: `began` and `ended` hold their names. One ends once its event in `go` is set, or that of all."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.ended: list[str] = []
        self.go: dict[str, threading.Event] = {}
        self.go_all = threading.Event()
        self.errors: dict[str, Exception] = {}

    def put(self, name: str) -> None:
        self.began.append(name)
        own = self.go.get(name, self.go_all)
        assert own.wait(LONG_S)
        self.ended.append(name)
        if name in self.errors:
            raise self.errors[name]

    def call(self, name: str) -> Any:
        return functools.partial(self.put, name)


def until(condition: Any) -> None:
    deadline = time.monotonic() + LONG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Bundle(threading.Thread):
    """The thread of a bundle that adds puts of these sizes, named by their place, and finishes."""

    def __init__(self, script: Script, *sizes: int) -> None:
        super().__init__(daemon=True)
        self.script, self.sizes = script, sizes
        self.puts = Puts[str]()
        self.added: list[str] = []
        self.values: list[str] = []
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            for place, size in enumerate(self.sizes):
                self.puts.add(self.script.call(str(place)), size, str(place))
                self.added.append(str(place))
            self.values = self.puts.finish()
        except StoreError as error:
            self.puts.end()
            self.error = error
            self.left = len(self.script.began) - len(self.script.ended)


def test_as_many_puts_run_at_a_time_as_the_bound_says_and_no_more() -> None:
    script = Script()
    bundle = Bundle(script, *[1] * (AT_ONCE + 2))
    until(lambda: len(script.began) == AT_ONCE)

    time.sleep(0.05)
    assert (len(script.began), len(bundle.added)) == (AT_ONCE, AT_ONCE)

    script.go_all.set()
    bundle.join(LONG_S)
    assert sorted(bundle.values) == sorted(map(str, range(AT_ONCE + 2))) == sorted(script.ended)


def test_a_put_that_ends_makes_room_for_the_next_one_while_the_others_go_on() -> None:
    script = Script()
    script.go['3'] = threading.Event()
    bundle = Bundle(script, *[1] * (AT_ONCE + 1))
    until(lambda: len(script.began) == AT_ONCE)

    script.go['3'].set()

    until(lambda: len(script.began) == AT_ONCE + 1)
    assert script.ended == ['3']
    script.go_all.set()
    bundle.join(LONG_S)
    assert len(bundle.values) == AT_ONCE + 1


def test_the_bytes_of_the_puts_that_run_are_bounded() -> None:
    script, third = Script(), BYTES_AT_ONCE // 3
    bundle = Bundle(script, third, third, third, third)
    until(lambda: len(script.began) == 3)

    time.sleep(0.05)
    assert (len(script.began), len(bundle.added)) == (3, 3)

    script.go_all.set()
    bundle.join(LONG_S)
    assert len(bundle.values) == 4


def test_an_object_larger_than_the_bound_is_put_alone_before_anything_else_is_taken() -> None:
    script = Script()
    script.go = {'0': threading.Event(), '1': threading.Event()}
    bundle = Bundle(script, 1, BYTES_AT_ONCE + 1, 1)
    until(lambda: script.began)
    time.sleep(0.05)
    assert script.began == ['0']

    script.go['0'].set()
    until(lambda: script.began == ['0', '1'])
    time.sleep(0.05)
    assert bundle.added == ['0']

    script.go['1'].set()
    script.go_all.set()
    bundle.join(LONG_S)
    assert bundle.values == ['0', '1', '2']


def test_no_value_is_given_before_all_puts_are_done() -> None:
    script = Script()
    script.go['1'] = threading.Event()
    bundle = Bundle(script, 1, 1, 1)
    script.go_all.set()
    until(lambda: sorted(script.ended) == ['0', '2'])

    time.sleep(0.05)
    assert bundle.values == []

    script.go['1'].set()
    bundle.join(LONG_S)
    assert sorted(bundle.values) == ['0', '1', '2']


@pytest.mark.parametrize('count', [3, AT_ONCE + 1], ids=['seen at the end', 'seen by a later put'])
def test_the_first_error_is_raised_once_no_put_runs_any_more_and_the_others_are_warned_of(
        count: int, caplog: pytest.LogCaptureFixture) -> None:
    script = Script()
    script.errors = {'1': StoreError('S3 refuses 1'), '2': StoreError('S3 refuses 2')}
    script.go = {'1': threading.Event()}
    bundle = Bundle(script, *[1] * count)
    until(lambda: len(script.began) == min(count, AT_ONCE))
    script.go['1'].set()
    until(lambda: script.ended == ['1'])
    time.sleep(0.05)
    assert bundle.error is None

    script.go_all.set()
    bundle.join(LONG_S)

    assert (str(bundle.error), bundle.left, bundle.values) == ('S3 refuses 1', 0, [])
    assert caplog.messages == ['another put failed as well: S3 refuses 2']
    assert len(script.began) == min(count, AT_ONCE)


def test_a_wait_that_is_interrupted_leaves_no_put_running(monkeypatch: pytest.MonkeyPatch) -> None:
    script, puts = Script(), Puts[str]()
    puts.add(script.call('a'), 1, 'a')
    threading.Timer(0.05, script.go_all.set).start()

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr('pipeline.write.puts.wait', interrupted)
    with pytest.raises(KeyboardInterrupt):
        puts.finish()

    assert script.ended == ['a']


def test_a_bundle_that_is_ended_waits_for_its_puts_and_leaves_nothing_to_the_next_one() -> None:
    script, puts = Script(), Puts[str]()
    puts.add(script.call('a'), 1, 'a')
    threading.Timer(0.05, script.go_all.set).start()

    puts.end()

    assert script.ended == ['a']
    puts.add(script.call('b'), 1, 'b')
    assert puts.finish() == ['b']
    assert puts.finish() == []
