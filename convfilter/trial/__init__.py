"""``convfilter try``: a local web page with a picture and sliders for its filters."""
