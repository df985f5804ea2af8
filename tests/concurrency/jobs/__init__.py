"""What workers can be told to do: functions of a `Stage` and plain data."""
