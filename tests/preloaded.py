"""What the fork server of the tests imports, once for all processes, none of which looks for garbage among it."""

# ruff: noqa: E402, F401

import gc

collecting = gc.isenabled()
gc.disable()

import torch
import torch.distributed.nn.functional

import ltr.callbacks.figure_data
import ltr.cli.command
import ltr.export
import ltr.studies.study
import tests.own_process

gc.freeze()
if collecting:
    gc.enable()
