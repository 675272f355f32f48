"""What the documentation says by itself: pages made from code and schema when the site is built."""
