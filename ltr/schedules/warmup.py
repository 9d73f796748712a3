"""The linear warm-up that the schedules share."""


def warmup_factor(epoch: int, warmup: int) -> float:
    """Return (epoch + 1) / warmup: 1/warmup in the first epoch (from 0) and 1 in the last one of the warm-up."""
    return (epoch + 1) / warmup
