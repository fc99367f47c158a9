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
	results, err := service.Batch(context.Background(), []string{os.Getenv("ARN")})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range results {
		if r.Err != nil {
			fmt.Println(r.Err)
			continue
		}
		fmt.Println(r.Status, r.ExecutionARN)
	}
}
