package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"statuscache/httpapi/client"
)

func main() {
	service, err := client.New(os.Getenv("STATUS_URL"), os.Getenv("STATUS_TOKEN"))
	if err != nil {
		log.Fatal(err)
	}
	page, err := service.List(context.Background(), client.Query{Status: "FAILED", Limit: 20})
	if err != nil {
		log.Fatal(err)
	}
	for _, execution := range page.Executions {
		fmt.Println(execution.StartDate, execution.Name, execution.ErrorMessage)
	}
}
