"""Cameras and vertices moved through the renderer until they fit an outline or a surface."""
