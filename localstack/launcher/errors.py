class EmulatorError(Exception):
    """Shown to the user as one message, without a traceback."""
