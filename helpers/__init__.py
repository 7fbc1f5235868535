"""The small package behind the notebooks: import its modules one by one, this stays light."""

__version__ = "1.0.0"
