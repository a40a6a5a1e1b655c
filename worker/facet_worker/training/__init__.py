"""Training dictionaries on a model's hidden states as they stream by: any blocks of it in one pass, several kinds of dictionary, one or many processes."""
