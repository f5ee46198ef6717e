"""Commands of training: ``hippo train``, ``distill``, ``episodes``, ``adapters`` and ``export``."""
