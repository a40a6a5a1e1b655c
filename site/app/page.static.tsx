import { HomePage } from "@/site/views/home";

export default HomePage;
