"""Tests of chainrule.optim."""
