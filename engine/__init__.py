"""What the programs share: processes, device, training runs, rendering with a trained run."""
