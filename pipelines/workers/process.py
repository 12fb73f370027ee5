"""A worker process of a run on this machine: `python -m prefdata.pipelines.workers.process FD…`.

It is started with the open ends of one link for each worker, imports what steps need, and is forked
into that many workers.
"""

from __future__ import annotations

import gc
import importlib
import os
import pickle
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection

from prefdata.pipelines.beam import runtimes, worker
from prefdata.pipelines.beam.errors import Carried, carry_errors
from prefdata.pipelines.beam.signals import DRIVER
from prefdata.pipelines.workers.link import Done, Failed, LinkBroken, Work, Yielded, receive, send
from prefdata.pipelines.workers.remote import Driver, RemoteRuntime

_STEPS = ("prefdata.pipelines.beam.exchange", "prefdata.pipelines.stages.registry")
"""The modules of the functions that steps apply."""


def main(descriptors: Sequence[int]) -> None:
    """Be the workers with these ends of links."""
    for name in _STEPS:
        importlib.import_module(name)
    # The many objects of the imports live until the end, and their pages are shared.
    gc.freeze()
    others: list[int] = []
    number = 0
    for each in range(1, len(descriptors)):
        process = os.fork()
        if not process:
            number, others = each, []
            break
        others.append(process)
    own = descriptors[number]
    stay_on_core(number)
    # A link that another process holds would not end with its worker.
    for descriptor in descriptors:
        if descriptor != own:
            os.close(descriptor)
    serve(Connection(own))
    runtimes.close_runs()
    for process in others:
        os.waitpid(process, 0)
    sys.stderr.flush()
    # No exit handlers: those of the first process are not the others'.
    os._exit(0)


def stay_on_core(number: int) -> None:
    """Stay on one of the cores that this process may use, where the system allows that.

    polars hands each query to a thread of its own and waits for it. Between cores a small query
    takes three times as long as on one, in processor time too.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[number % len(cores)]})


def serve(connection: Connection) -> None:
    """Do the driver's work until it closes the link."""
    worker.install(int(os.environ[DRIVER]))
    runtimes.make_by(partial(RemoteRuntime, Driver(connection)))
    # The driver is gone where the link is broken: so is whoever could be told.
    with suppress(LinkBroken):
        while True:
            _apply(connection, receive(connection))


def _apply(connection: Connection, work: Work) -> None:
    try:
        context, function = pickle.loads(work.step)
        with carry_errors(context.runtime.stopping):
            for result in function(context, work.element, **work.side_inputs):
                send(connection, Yielded(result))
    except LinkBroken:
        raise
    except BaseException as error:
        carried = isinstance(error, Carried)
        send(connection, Failed(str(error) if carried else traceback.format_exc()))
    else:
        send(connection, Done())


if __name__ == "__main__":
    main([int(number) for number in sys.argv[1:]])
