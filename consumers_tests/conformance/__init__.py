"""What every server of ours must do, asked by others' suites and with plain bytes."""
