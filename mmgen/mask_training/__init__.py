"""What trains and measures the bundled mask network; nothing here runs at a user's."""
