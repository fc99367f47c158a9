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
	set, err := service.WaitAll(context.Background(), []string{os.Getenv("ARN")}, client.FirstFailure, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range set.Results {
		if r.Err == nil {
			fmt.Println(r.Status, r.ExecutionARN)
		}
	}
}
