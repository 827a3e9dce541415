"""INT8: calibration, smoothing, rounding."""
