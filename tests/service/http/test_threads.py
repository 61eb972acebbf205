"""The threads beside the event loop."""

import sys
import threading

from service.http.threads import Threads, share_the_interpreter


def test_it_is_known_whether_a_thread_works():
    with Threads() as threads:
        may_end = threading.Event()
        work = threads.submit(may_end.wait, 10)
        assert threads.busy()
        may_end.set()
        assert work.result(10)
    assert not threads.busy()


def test_a_thread_that_waits_for_the_interpreter_has_it_within_a_millisecond():
    before = sys.getswitchinterval()
    try:
        share_the_interpreter()
        assert sys.getswitchinterval() <= 0.001
    finally:
        sys.setswitchinterval(before)
