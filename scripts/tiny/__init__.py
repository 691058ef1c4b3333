"""corral-tiny: the small chat model that ships inside Corral, and how it was made."""
