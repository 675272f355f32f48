"""Data sets: where labelled images come from, and how they are divided into train, validation and test."""
