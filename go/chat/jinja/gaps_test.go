package jinja_test

// unsupported lists the idioms that jinja2 renders and this engine refuses or
// renders otherwise; no published chat template uses them.
var unsupported = map[string]bool{
	`{{ "\u00e9\x41\'\"\\\t|\101\N{BULLET}" }}`: true,
	`{{ loop is defined }} {{ self is defined }} {{ range is defined }} {{ raise_exception is defined }} {{ messages is defined and messages is not none }}`:    true,
	`{{ lipsum is defined }}{{ debug is defined }}{{ zip is defined }}`:                                                                                         true,
	`{{ [1,2,3]|random is defined }} {{ 1000000|filesizeformat }} {{ 'a b'|wordwrap(1) }} {{ '<p>x</p>'|striptags }} {{ 'x'|center(5) }} {{ {'a':1}|xmlattr }}`: true,
}
