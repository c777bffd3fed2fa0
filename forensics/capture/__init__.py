"""Capture files to blocks of DNS messages: containers, formats, link layers."""
