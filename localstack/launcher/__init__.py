"""What the `emulator` script does. Standard library only: it runs before anything is installed."""
