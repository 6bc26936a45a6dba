"""The gallery: a page, its style and its modules, served as they lie by ``api/gallery.py``."""
