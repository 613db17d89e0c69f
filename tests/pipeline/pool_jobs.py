"""Jobs for the worker pool: they return, die, or take their time."""

import os
import signal
import time

import numpy as np


class Jobs:
    def __init__(self, greeting):
        self.greeting = greeting
        self.tasks = []

    def task(self, label):
        self.tasks.append(label)

    def run_job(self, job):
        kind, value = job
        if kind == "greet":
            return f"{self.greeting} {value}", tuple(self.tasks), os.getpid()
        if kind == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
        if kind == "exit":
            os._exit(value)
        if kind == "sleep":
            time.sleep(value)
            return "slept", (), os.getpid()
        if kind == "random":
            return float(np.random.random()), (os.environ["OMP_NUM_THREADS"],), os.getpid()
        if kind == "shout":
            os.write(2, b"x" * value)
            return "shouted", (), os.getpid()
        raise AssertionError(kind)


def broken():
    raise RuntimeError("cannot be made")
