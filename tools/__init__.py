"""Scripts that check and measure the repository; the package never imports them."""
