"""What the fork server imports, once for all processes."""

import torch

from tests.faults.child import warm_up

torch.set_num_threads(1)
warm_up()
