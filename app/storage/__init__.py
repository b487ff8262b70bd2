"""The engines that everything kept is in: files and connections, without what is in them."""
