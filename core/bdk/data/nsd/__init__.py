"""The Natural Scenes Dataset in its official layout, brought to a prepared folder."""
