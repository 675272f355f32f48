"""The 15 common corruptions of Hendrycks & Dietterich (2019), seeded per example, from NumPy, SciPy and Pillow."""
