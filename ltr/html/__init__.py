"""Pages that need nothing but themselves: no script, font or picture from elsewhere."""
