"""Tests of chainrule.persist."""
