// Package docs has the contract of the API as files and as a page.
//
//	openapi.yaml  the contract: edit this when an answer or a parameter changes
//	openapi.go    the pages by path: /openapi.yaml, /openapi.json, /docs
//	page.go       /docs, rendered from the contract; shownOperations is the order on the page
//	fields.go     the fields of requests and answers on that page
//	docs.html     the template of the page, which loads docs.css and docs.js
//	samples/      programs in four languages that the page shows and the tests run
//
// The package imports no other package of this project.
package docs
