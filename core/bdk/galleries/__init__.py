"""Galleries: what retrieval looks in. Folders of pooled embeddings with a manifest, metadata and, if large, an index.

Reading order: `manifest` (what a gallery says of itself), `gallery` (reading one), `queries` and `keys` (what is
searched for), `items` (from a gallery row to its picture, caption and tokens), `indexes` and `building` (indexes for
up to billions of rows). Nothing is imported here, so that the manifest can be read without torch.
"""
