"""Captures that were made to hurt, and what the program does with them."""
