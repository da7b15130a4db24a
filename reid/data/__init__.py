"""Photos of people with identity and camera: Market-1501, any folder, virtual people in shards; order and pixels."""
