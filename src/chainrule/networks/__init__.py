"""Networks: named layers in a row, with the parameters they own."""

from chainrule.networks.network import Network, load

__all__ = ["Network", "load"]
